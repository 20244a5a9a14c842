"""Who may act for an organization, and what that rests on."""
