"""Who an agent is: enrolment, the ratchet that shows copies, key rotation, quarantine, readmission."""
