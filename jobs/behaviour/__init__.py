"""Events → customer-days → months → features: what is measured of a customer."""
