package limit

// Kept is how many leases l keeps.
func Kept(l *Leases) int { return len(l.kept) }
