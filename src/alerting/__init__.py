"""Alerts told to others: the webhook.

Takes alerts from the store and marks them there; knows no worker and no web.
"""
