"""The CloudFormation stack: brought up, watched, taken down, and why it failed."""
