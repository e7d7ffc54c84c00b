"""open_clip's SigLIP, whose image tower is timm's, as transformers' SigLIP."""
