"""Picture files, drawings, and pictures inside other documents."""
