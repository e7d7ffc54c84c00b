"""The encoders on torch and OpenVINO, the fake encoder, and the export of graphs."""
