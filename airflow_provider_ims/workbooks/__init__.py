"""Workbooks (``.xlsx``) of tables that people read: one row a document, in words, with GSTN's names beside them."""
