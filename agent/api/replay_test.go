package api

import (
	"testing"
	"time"
)

func TestParseSince(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("", 3600)
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, zone)
	for text, want := range map[string]time.Time{
		"90m":                       now.Add(-90 * time.Minute),
		"0s":                        now,
		"2026-01-30":                time.Date(2026, 1, 30, 0, 0, 0, 0, zone),
		"2026-01-30 15:04:05":       time.Date(2026, 1, 30, 15, 4, 5, 0, zone),
		"2026-01-30T15:04:05.5":     time.Date(2026, 1, 30, 15, 4, 5, 5e8, zone),
		"2026-01-30T15:04:05.123Z":  time.Date(2026, 1, 30, 15, 4, 5, 123e6, time.UTC),
		"2026-01-30T15:04:05+02:00": time.Date(2026, 1, 30, 13, 4, 5, 0, time.UTC),
	} {
		if got, err := ParseSince(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "yesterday", "15:04", "-1h", "2026-13-01", "1d"} {
		if got, err := ParseSince(text, now); err == nil {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}
