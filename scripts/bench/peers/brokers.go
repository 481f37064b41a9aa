package main

import (
	"context"

	"github.com/nats-io/nats.go"
	"github.com/redis/go-redis/v9"
)

// waiting is how many messages a subscriber keeps that it has not posted: more than any
// burst has, so that none is dropped.
const waiting = 1 << 20

type natsBroker struct{ conn *nats.Conn }

func connectNATS(addr string) (broker, error) {
	conn, err := nats.Connect("nats://" + addr)
	return natsBroker{conn}, err
}

func (b natsBroker) subscribe(_ context.Context, take func([]byte)) error {
	messages := make(chan *nats.Msg, waiting)
	if _, err := b.conn.ChanSubscribe(topic, messages); err != nil {
		return err
	}
	go func() {
		for m := range messages {
			take(m.Data)
		}
	}()
	return b.conn.Flush()
}

func (b natsBroker) publish(_ context.Context, messages func(func([]byte) bool)) (err error) {
	for m := range messages {
		if err := b.conn.Publish(topic, m); err != nil {
			return err
		}
	}
	return b.conn.Flush()
}

type redisBroker struct{ client *redis.Client }

func connectRedis(addr string) broker {
	return redisBroker{redis.NewClient(&redis.Options{Addr: addr, ReadTimeout: -1})}
}

func (b redisBroker) subscribe(ctx context.Context, take func([]byte)) error {
	subscription := b.client.Subscribe(ctx, topic)
	if _, err := subscription.Receive(ctx); err != nil {
		return err
	}
	messages := subscription.Channel(redis.WithChannelSize(waiting))
	go func() {
		for m := range messages {
			take([]byte(m.Payload))
		}
	}()
	return nil
}

// pipelined is how many messages go to Redis at a time.
const pipelined = 1_000

func (b redisBroker) publish(ctx context.Context, messages func(func([]byte) bool)) error {
	pipe := b.client.Pipeline()
	for m := range messages {
		pipe.Publish(ctx, topic, m)
		if pipe.Len() == pipelined {
			if _, err := pipe.Exec(ctx); err != nil {
				return err
			}
		}
	}
	_, err := pipe.Exec(ctx)
	return err
}
