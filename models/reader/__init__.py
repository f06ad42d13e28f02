"""What answering imports, without torch: the extractive reader, its shipped weights, its cache of block states.

Questions and passages come in, findings and their cost go out. Knows no index, no retrieval and no generator.
"""
