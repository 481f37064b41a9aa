package link

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"agentctl/handler/varint"
)

// receiveBuffer bounds what is read of a stream ahead, and so the messages that
// are delivered at once, but for one that is longer.
const receiveBuffer = 32 << 10

// receiveBuffers are for streams of others that are read. An idle stream of events has none.
var receiveBuffers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, receiveBuffer) }}

// maxNumber is the highest number that a stream of events may begin with. No
// process gets near it, and what follows cannot overflow.
const maxNumber = 1 << 62

// maxBatch is how many messages are delivered at once, at most.
const maxBatch = 1024

// receive delivers the messages of a stream of events, and acknowledges them,
// until the stream ends.
func (l *Links) receive(ctx context.Context, lk *link, st *stream, id senderID) error {
	key := lk.sourceKey(id)
	src := l.sources.open(key)
	defer l.sources.close(src)
	lk.events.Store(st)
	defer lk.events.Store(nil)
	acks := newAcker(src, st, l.cfg.ackDelay)
	defer acks.end()
	defer st.SetWriteDeadline(time.Unix(1, 0)) // a peer may read no acknowledgements
	return l.receiveFrom(ctx, acks, key.strict, st.r, st.await, func() { st.SetReadDeadline(time.Time{}) }, st.settle, func(msgs [][]byte) Ack {
		lk.touch()
		return l.cfg.Deliver(lk.peer, msgs)
	})
}

// receiveFrom is receive for any reader, writer and way to deliver. It calls begun once
// the first sequence number is known, await for the reader that has the next message, and
// taken after each batch. A strict
// source leaves no number out.
func (l *Links) receiveFrom(ctx context.Context, acks *acker, strict bool, r *bufio.Reader, await func() (*bufio.Reader, error), begun, taken func(), deliver func([][]byte) Ack) error {
	src := acks.src
	next, err := readNumber(r)
	if err != nil {
		return err
	}
	if next == 0 || next > maxNumber {
		return fmt.Errorf("%w: the first message has the number %d", errProtocol, next)
	}
	begun()
	acks.begin(next)
	if _, err := acks.w.Write(varint.AppendBytes([]byte{statusOK}, "")); err != nil {
		return err
	}
	for {
		var msgs [][]byte
		r, err := await()
		if err == nil {
			msgs, err = readBatch(r, l.cfg.MaxMessage)
		}
		if len(msgs) > 0 {
			select {
			case src.turn <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
			if had := src.had; strict && src.begun && next > had+1 {
				<-src.turn
				return fmt.Errorf("%w: message %d comes after message %d, and those between cannot be left out", errProtocol, next, had)
			}
			fresh, duplicates := src.fresh(next, msgs)
			var ack Ack
			if len(fresh) > 0 {
				ack = deliver(fresh)
			}
			next += uint64(len(msgs))
			if last := next - 1; last > src.had {
				src.had = last
				src.delivered(last, ack)
			}
			src.begun = true
			<-src.turn
			taken()
			l.metrics.delivered.Add(float64(len(fresh)))
			l.metrics.duplicates.Add(float64(duplicates))
			if err := acks.came(next-1, ack.soon); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// readBatch waits for one message, and takes those with it that are there
// already. With an error come the messages before it.
func readBatch(r *bufio.Reader, limit int) (msgs [][]byte, err error) {
	for {
		msg, err := readBytes(r, limit)
		if err != nil {
			return msgs, err
		}
		msgs = append(msgs, msg)
		if len(msgs) == maxBatch || !buffered(r) {
			return msgs, nil
		}
	}
}

// buffered reports whether a whole message can be read without waiting.
func buffered(r *bufio.Reader) bool {
	head, _ := r.Peek(min(r.Buffered(), binary.MaxVarintLen64)) // no more than there is
	n, size := binary.Uvarint(head)
	return size > 0 && n <= uint64(r.Buffered()-size)
}

// fresh returns the messages that were not delivered yet, without placeholders,
// when the first has the number next. It uses up msgs. It belongs to who has the turn.
func (src *source) fresh(next uint64, msgs [][]byte) (fresh [][]byte, duplicates int) {
	if src.had >= next {
		duplicates = int(min(src.had-next+1, uint64(len(msgs))))
	}
	fresh = slices.DeleteFunc(msgs[duplicates:], func(msg []byte) bool { return len(msg) == 0 })
	return fresh, duplicates
}
