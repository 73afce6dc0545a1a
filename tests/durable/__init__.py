"""Runs that outlive what drives them."""
