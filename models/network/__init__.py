"""The grounded vision-language model in torch: the same network as models.reader runs, in a form that can be trained."""
