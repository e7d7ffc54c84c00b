"""What changes the weights: batches, the loss, the trainer, and where it goes on."""
