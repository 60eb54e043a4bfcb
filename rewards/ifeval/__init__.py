"""Checkable instructions: IFEval's 25 and IFBench's 58, strict and loose, offline."""
