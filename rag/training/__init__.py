"""Fits what retrieval and answering compute with, and makes the data for it. Writes shipped artefacts; answering imports none of it."""
