"""The API's attributes as data: one table per resource."""
