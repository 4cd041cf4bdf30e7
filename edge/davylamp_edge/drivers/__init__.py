"""Field protocols behind one small contract; the registry imports a driver on first use."""
