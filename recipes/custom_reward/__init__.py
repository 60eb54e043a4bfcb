"""The shortest example of training with a reward function of your own."""
