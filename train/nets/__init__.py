"""Networks: bodies, heads, and what is exported of them."""
