"""What GSTN holds of a taxpayer at one time, in files: made of a download's pages, found, and compared with a reset."""
