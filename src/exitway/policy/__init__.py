"""What the resources mean for one workload. Pure, and free of any kind's name: intents in, a policy and decisions out."""
