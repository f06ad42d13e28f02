"""What every other room of models needs: errors, the base encoder, ONNX graphs and sessions, metrics.

Knows none of the other rooms.
"""
