"""Transport of contract messages over MQTT: uplink, intake, brokers. Knows no database."""
