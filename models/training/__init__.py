"""How the network is trained, adapted and evaluated: question sets, examples, losses, the training loop."""
