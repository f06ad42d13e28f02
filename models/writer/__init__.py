"""The decoder that says a found answer in a sentence: a pretrained Llama and an adapter trained on statements."""
