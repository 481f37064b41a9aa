package journal

import "time"

// Config is the limits of a journal. Zero and less mean the default.
type Config struct {
	// MaxEvents, MaxBytes and MaxAge bound the history that is retained.
	// Defaults 100,000, 64 MiB, 24 h. Age goes by Event.Time, and lets go of
	// no user event within the newest 512 Lamport times, nor of what came
	// after it: serf sends those again after a restart, and they must still be
	// known then.
	MaxEvents int
	MaxBytes  int
	MaxAge    time.Duration
	// MaxPending and MaxPendingBytes bound what waits for one target. Defaults
	// 100,000 and 64 MiB. Beyond them its oldest waiting events are lost.
	MaxPending      int
	MaxPendingBytes int
	// MaxBuried bounds what is kept of one target's buried events, for MaxAge
	// each. Default 1,000; beyond it the oldest burial is forgotten.
	MaxBuried int
}

func (cfg Config) withDefaults() Config {
	positiveOr(&cfg.MaxEvents, 100_000)
	positiveOr(&cfg.MaxBytes, 64<<20)
	positiveOr(&cfg.MaxAge, 24*time.Hour)
	positiveOr(&cfg.MaxPending, 100_000)
	positiveOr(&cfg.MaxPendingBytes, 64<<20)
	positiveOr(&cfg.MaxBuried, 1000)
	return cfg
}

func positiveOr[T int | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}
