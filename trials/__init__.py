"""Space, study, trajectory, diagnosis, advisors and runners."""
