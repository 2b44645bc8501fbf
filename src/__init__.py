"""Framewatch: video in, labelled moments out."""
