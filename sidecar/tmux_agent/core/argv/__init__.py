"""Knowledge of programs' command lines: options, operands, scripts inside arguments, wrappers. Pure.

Owns how an argv is read. Must not own what is allowed (rules.py, the policy file) or facts about files (facts.py).
Everything here is closed: what is not known by name is not understood, and what is not understood is never allowed.
"""
