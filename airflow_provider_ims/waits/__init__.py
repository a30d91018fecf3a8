"""What waiting for the service's tasks means, whoever waits: sensor, trigger, or a submission on its way."""
