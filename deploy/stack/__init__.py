"""The CloudFormation stack: create, update, watch, delete, and explain a failure."""
