//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"
)

const (
	// memoryBytes is the size of the payloads.
	memoryBytes = 60
	// memoryPause is how long a cluster rests before its memory is looked at. An agent
	// gives memory back within half a minute.
	memoryPause = 40 * time.Second
)

// memory is what agents have before a burst, once they are at rest behind it, and behind a
// second one, which pushes the events of the first out of the journal: three agents, and
// one with a journal on the disk.
func (b *bench) memory(ctx context.Context) error {
	if err := b.memoryOf(ctx, "the largest of 3 agents", nil, ours, ours, ours); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(b.dir, "journal-")
	if err != nil {
		return err
	}
	return b.memoryOf(ctx, "an agent with -data-dir", []string{"-data-dir=" + dir}, ours)
}

func (b *bench) memoryOf(ctx context.Context, whose string, args []string, kinds ...kind) error {
	c, err := b.startWith(ctx, b.profile, args, kinds...)
	if err != nil {
		return err
	}
	defer c.close()
	for burst := range 3 {
		what := fmt.Sprintf("memory of %s, before a burst", whose)
		if burst > 0 {
			what = fmt.Sprintf("%v after burst %d of %s events of %d bytes", memoryPause, burst, number(float64(b.plan.memoryBurst)), memoryBytes)
			round := c.rec.begin(b.plan.memoryBurst)
			var lines bytes.Buffer
			writeLines(&lines, "kong", b.plan.memoryBurst, func(i int) []byte {
				return fmt.Appendf(nil, "%-*s", memoryBytes, fmt.Sprintf(`{"id":"%d-%d"}`, round, i))
			})
			if err := c.publishLines(ctx, &lines); err != nil {
				return err
			}
			b.checkLoss(c, c.rec.settle(ctx, b.plan.memoryBurst, b.plan.quiet, time.Minute))
		}
		if err := sleep(ctx, memoryPause); err != nil {
			return err
		}
		used, err := c.usage()
		if err != nil {
			return err
		}
		r := row{What: what, Parts: []part{{Unit: "MiB"}, {Unit: "MiB of its own"}}}
		r.set(ours, used.rss, used.own)
		b.say("%s: %s MiB, %s of its own", what, number(used.rss), number(used.own))
		b.report.add(r)
	}
	return nil
}
