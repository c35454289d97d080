"""Amazon Bedrock's Converse: requests written, answers and streams read."""
