package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// raw hands messages through as bytes: responses are scanned, never unmarshalled.
type raw struct{}

func (raw) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}
func (raw) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}
func (raw) Name() string { return "proto" }

// probe is one change that is being timed.
type probe struct {
	marker  []byte
	appear  bool
	types   []string // the types in which the marker must have appeared; none: any
	start   time.Time
	elapsed []atomic.Int64 // by stream, nanoseconds; 0: not yet
	left    atomic.Int64
	done    chan struct{}
}

// subscription is what one stream knows of one type.
type subscription struct {
	names   map[string]bool // subscribed by name; true: not answered yet
	marked  map[string]bool // resources that hold the marker
	version string
	nonce   string
}

type stream struct {
	id         int
	node       *core.Node
	token      string
	out        grpc.ClientStream
	types      map[string]*subscription
	references map[string]map[string][]reference // by type and name of the cluster or listener
	marker     string
	configured bool
}

func (s *stream) of(typeURL string) *subscription {
	t := s.types[typeURL]
	if t == nil {
		t = &subscription{names: map[string]bool{}, marked: map[string]bool{}}
		s.types[typeURL] = t
	}
	return t
}

// run keeps the stream up as Envoy does: jittered exponential backoff between 500 ms and 30 s.
func (s *stream) run(ctx context.Context, l *load) {
	for try := 0; ctx.Err() == nil; try++ {
		if try > 0 {
			l.retries.Add(1)
			wait := min(500*math.Pow(2, float64(try-1)), 30000) * rand.Float64()
			select {
			case <-time.After(time.Duration(wait * float64(time.Millisecond))):
			case <-ctx.Done():
				return
			}
		}
		if received, err := s.session(ctx, l); received {
			try = 0
		} else if err != nil {
			l.lastError.Store(err.Error())
		}
	}
}

func (s *stream) session(ctx context.Context, l *load) (received bool, err error) {
	secure := insecure.NewCredentials()
	if l.tls {
		secure = credentials.NewTLS(&tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	}
	channel, err := grpc.NewClient(l.address, grpc.WithTransportCredentials(secure), grpc.WithUserAgent("adsload"),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(raw{}), grpc.MaxCallRecvMsgSize(math.MaxInt32)))
	if err != nil {
		return false, err
	}
	defer channel.Close()
	method := "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"
	if l.delta {
		method = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
	}
	if s.token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+s.token)
	}
	s.out, err = channel.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
	if err != nil {
		return false, err
	}
	s.types, s.references = map[string]*subscription{}, map[string]map[string][]reference{cds: {}, lds: {}}
	if err = s.subscribe(l, cds, nil, nil, s.node); err != nil {
		return false, err
	}
	for _, extra := range l.extra {
		if err = s.subscribe(l, extra.typeURL, []string{extra.name}, nil, nil); err != nil {
			return false, err
		}
	}
	for {
		var message []byte
		if err = s.out.RecvMsg(&message); err != nil {
			return received, err
		}
		received = true
		l.count(len(message) + 5)
		if err = s.handle(l, parse(message, l.delta)); err != nil {
			return received, err
		}
	}
}

func (s *stream) handle(l *load, r response) error {
	p := l.probe.Load()
	if marker := string(p.marker); marker != s.marker {
		s.marker = marker
		for _, t := range s.types {
			clear(t.marked)
		}
	}
	t := s.of(r.typeURL)
	t.version, t.nonce = r.version, r.nonce
	parents := s.references[r.typeURL]
	if !l.delta && (r.typeURL == cds || r.typeURL == lds) { // the whole state
		clear(t.marked)
		clear(parents)
	}
	for _, resource := range r.resources {
		if _, ok := t.names[resource.name]; ok {
			t.names[resource.name] = false
		}
		if found := refer(r.typeURL, resource.body); len(found) > 0 {
			parents[resource.name] = found
		} else if parents != nil {
			delete(parents, resource.name)
		}
		if len(p.marker) > 0 && (bytes.Contains(resource.body, p.marker) || bytes.Contains([]byte(resource.name), p.marker)) {
			t.marked[resource.name] = true
		} else {
			delete(t.marked, resource.name)
		}
	}
	for _, name := range r.removed {
		delete(parents, name)
		delete(t.marked, name)
		if _, ok := t.names[name]; ok {
			t.names[name] = false
		}
	}
	if err := s.ack(l, r.typeURL, t); err != nil {
		return err
	}
	if err := s.follow(l, r.typeURL); err != nil {
		return err
	}
	s.report(l, p)
	return nil
}

// follow subscribes to what clusters and listeners now refer to, and to listeners after the clusters are complete.
func (s *stream) follow(l *load, typeURL string) error {
	wanted := map[string]map[string]bool{}
	switch typeURL {
	case cds:
		wanted[eds] = map[string]bool{}
	case lds:
		wanted[rds], wanted[ecds] = map[string]bool{}, map[string]bool{}
	}
	for _, found := range s.references[typeURL] {
		for _, reference := range found {
			wanted[reference.typeURL][reference.name] = true
		}
	}
	for child, names := range wanted {
		t := s.of(child)
		var add, drop []string
		for name := range names {
			if _, ok := t.names[name]; !ok {
				t.names[name] = true
				add = append(add, name)
			}
		}
		for name := range t.names {
			if !names[name] && !l.isExtra(child, name) {
				delete(t.names, name)
				delete(t.marked, name)
				drop = append(drop, name)
			}
		}
		if len(add)+len(drop) > 0 {
			if err := s.subscribe(l, child, add, drop, nil); err != nil {
				return err
			}
		}
	}
	if _, asked := s.types[lds]; !asked && s.of(cds).nonce != "" && s.answered(eds) {
		return s.subscribe(l, lds, nil, nil, nil)
	}
	return nil
}

func (s *stream) answered(typeURL string) bool {
	for _, waiting := range s.of(typeURL).names {
		if waiting {
			return false
		}
	}
	return true
}

func (s *stream) report(l *load, p *probe) {
	if !s.configured && s.types[lds] != nil && s.of(lds).nonce != "" && s.answered(eds) && s.answered(rds) && s.answered(ecds) {
		s.configured = true
		l.configured(s.id)
	}
	if p.done == nil || p.elapsed[s.id].Load() != 0 {
		return
	}
	types := p.types
	hit := len(types) > 0
	for _, typeURL := range types {
		hit = hit && (len(s.of(typeURL).marked) > 0) == p.appear
	}
	if len(types) == 0 {
		any := false
		for _, t := range s.types {
			any = any || len(t.marked) > 0
		}
		hit = any == p.appear
	}
	if hit {
		p.elapsed[s.id].Store(int64(time.Since(p.start)))
		if p.left.Add(-1) == 0 {
			close(p.done)
		}
	}
}

func (s *stream) subscribe(l *load, typeURL string, add, drop []string, node *core.Node) error {
	t := s.of(typeURL)
	if node == nil && l.nodeAlways {
		node = s.node
	}
	for _, name := range add {
		t.names[name] = true
	}
	if l.delta {
		return s.send(&discovery.DeltaDiscoveryRequest{Node: node, TypeUrl: typeURL, ResourceNamesSubscribe: add, ResourceNamesUnsubscribe: drop})
	}
	return s.sendState(typeURL, t, node)
}

func (s *stream) ack(l *load, typeURL string, t *subscription) error {
	if l.delta {
		return s.send(&discovery.DeltaDiscoveryRequest{TypeUrl: typeURL, ResponseNonce: t.nonce, ErrorDetail: (*status.Status)(nil)})
	}
	return s.sendState(typeURL, t, nil)
}

func (s *stream) sendState(typeURL string, t *subscription, node *core.Node) error {
	names := make([]string, 0, len(t.names))
	for name := range t.names {
		names = append(names, name)
	}
	return s.send(&discovery.DiscoveryRequest{Node: node, TypeUrl: typeURL, VersionInfo: t.version, ResponseNonce: t.nonce, ResourceNames: names})
}

func (s *stream) send(message proto.Message) error {
	encoded, err := proto.Marshal(message)
	if err != nil {
		return err
	}
	return s.out.SendMsg(encoded)
}
