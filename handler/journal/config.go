package journal

import "time"

// Config holds the limits of a journal. Zero and less mean the default.
type Config struct {
	// MaxEvents, MaxBytes and MaxAge bound the history. Defaults 100,000, 64 MiB
	// and 24 h. An event costs its name, its payload and 200 bytes. Age goes by
	// Event.Time.
	MaxEvents int
	MaxBytes  int
	MaxAge    time.Duration
	// Window keeps user events from their age: those within so many of the newest
	// Lamport times stay, and so does each event behind one. Members send these
	// again after a restart, and they must still be known then. Default 512.
	Window uint64
	// MaxPending and MaxPendingBytes bound the pending events of one target.
	// Defaults 100,000 and 64 MiB. Beyond them its oldest events that were not
	// handed out are lost.
	MaxPending      int
	MaxPendingBytes int
	// MaxBuried bounds the buried events of one target, each of which is kept
	// for MaxAge. Default 1,000. Beyond it the oldest burial is forgotten.
	MaxBuried int
}

func (cfg Config) withDefaults() Config {
	positiveOr(&cfg.MaxEvents, 100_000)
	positiveOr(&cfg.MaxBytes, 64<<20)
	positiveOr(&cfg.MaxAge, 24*time.Hour)
	positiveOr(&cfg.Window, 512)
	positiveOr(&cfg.MaxPending, 100_000)
	positiveOr(&cfg.MaxPendingBytes, 64<<20)
	positiveOr(&cfg.MaxBuried, 1000)
	return cfg
}

func positiveOr[T int | uint64 | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}
