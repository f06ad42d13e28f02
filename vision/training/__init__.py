"""Trains the image tower, and makes pictures and pages to train on."""
