"""Requests and answers in the forms of other toolkits. Pure."""
