"""Who may ask for what: password, origins, rates, headers.

Deny by default: one ``before_request`` for all routes.
"""
