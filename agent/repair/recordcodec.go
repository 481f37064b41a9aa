package repair

import (
	"context"
	"errors"
	"time"

	"agentctl/handler/journal"
	"agentctl/handler/varint"
)

const recordVersion = 1

// encode is what decodeRecord reads. own is the log that the record is about, by the
// process that the record is of.
func (c *record) encode(own uint64) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := encoder{varint.Encoder{recordVersion}}
	e.Fixed(own)
	e.Uint(c.seq)
	e.Uint(c.since)
	e.Uint(c.dropped)
	e.Uint(c.whole)
	for _, l := range c.levels {
		e.Uint(l.low)
		e.Uint(uint64(len(l.blocks)))
		low := uint64(0)
		for _, b := range l.blocks {
			e.Uint(b.low - low)
			e.digest(b.digest)
			e.Uint(b.oldest)
			e.Uint(b.newest)
			low = b.low
		}
	}
	e.Uint(uint64(len(c.strays)))
	for _, s := range c.strays {
		e.Uint(s.ltime)
		e.Uint(s.seq)
		e.Text(s.id)
	}
	e.Uint(uint64(c.past.every))
	e.Uint(uint64(len(c.past.times)))
	for _, t := range c.past.times {
		e.Uint(uint64(t.at.UnixMilli()))
		e.Uint(t.seq)
	}
	return e.Encoder
}

// decodeRecord reads what an earlier process kept, and tells which process that was.
func decodeRecord(b []byte) (c *record, own uint64, err error) {
	d := decoder{varint.NewDecoder(b)}
	if v := d.Byte(); v != recordVersion {
		return nil, 0, errors.New("a record of another version, or a damaged one")
	}
	c = &record{}
	own = d.Fixed()
	c.seq, c.since, c.dropped, c.whole = d.Uint(), d.Uint(), d.Uint(), d.Uint()
	for level := range c.levels {
		l, most, last := &c.levels[level], coarseBlocks, uint64(0)
		if level == 0 {
			most = fineBlocks
		}
		l.low = d.Uint()
		l.blocks = varint.List(&d.Decoder, most, func() block {
			last += d.Uint()
			b := block{low: last, digest: d.digest(), oldest: d.Uint(), newest: d.Uint()}
			if blockSpan(b.low, level)[0] != b.low || b.low < l.low {
				d.Fail("a block that begins where none can")
			}
			return b
		})
		for i, b := range l.blocks {
			if i > 0 && b.low <= l.blocks[i-1].low {
				d.Fail("blocks in no order")
			}
		}
	}
	c.strays = varint.List(&d.Decoder, maxStrays, func() stray { return stray{d.Uint(), d.Uint(), d.Text(maxID)} })
	c.past.every = time.Duration(d.Uint())
	c.past.times = varint.List(&d.Decoder, maxPast, func() pastTime { return pastTime{time.UnixMilli(int64(d.Uint())), d.Uint()} })
	return c, own, d.end()
}

// openRecord goes on with the record of an earlier process, or begins one. A record counts
// if it is of this log, and the log has lost nothing of what the record goes up to.
func openRecord(cfg Config, st *state, ext journal.Extent) (*record, error) {
	c := &record{}
	if cfg.Record != nil {
		kept, own, err := decodeRecord(cfg.Record)
		if err != nil {
			cfg.Logger.Warn("repair: the record that the last process kept cannot be read, and another one begins", "error", err)
		} else if seq, ok := st.translate(watermark{own, kept.seq}); ok && seq == kept.seq && seq <= ext.Head {
			return kept, kept.note(cfg.Store)
		}
	}
	c.begin(max(st.floor, ext.Floor))
	if ext.Head == 0 && !st.based {
		c.begin(none)
	}
	return c, c.note(cfg.Store)
}

// recordEvery is how often the record is saved at most, while events come. What comes to
// the log after that, the next process finds there.
const recordEvery = 30 * time.Second

// saveRecord keeps the record for the next process.
func (r *Repair) saveRecord(ctx context.Context) {
	if r.cfg.SaveRecord == nil || time.Since(r.recorded) < recordEvery {
		return
	}
	r.mu.Lock()
	own := r.state.incarnation()
	r.mu.Unlock()
	r.record.mu.Lock()
	seq := r.record.seq
	r.record.mu.Unlock()
	if seq == r.recordedSeq && !r.recorded.IsZero() {
		return
	}
	if err := r.cfg.SaveRecord(ctx, r.record.encode(own)); err == nil {
		r.recorded, r.recordedSeq = time.Now(), seq
	} else if ctx.Err() == nil && !errors.Is(err, context.Canceled) {
		r.cfg.Logger.Warn("repair: the record could not be kept, it is tried again with the next round", "error", err)
	}
}
