"""Panels as pictures, with Matplotlib: each kind paints the body of its panel on a canvas."""
