"""Texts about somebody else: identity terms exchanged for others of their kind, and the roles of the genders reversed."""
