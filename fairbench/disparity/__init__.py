"""Comparing groups: rates and AUCs of each group, what becomes of their differences, and how sure that is."""
