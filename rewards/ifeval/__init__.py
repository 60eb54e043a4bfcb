"""Checkable instructions: the 25 of IFEval (arXiv 2311.07911), strict and loose, offline."""
