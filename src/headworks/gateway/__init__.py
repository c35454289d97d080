"""The request's path: pipeline.py is the product on one screen."""
