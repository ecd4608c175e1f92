"""What a board shows: metrics scraped, rates and figures made of them."""
