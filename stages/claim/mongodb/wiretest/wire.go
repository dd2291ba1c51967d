package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"go.mongodb.org/mongo-driver/bson"
)

// Operation codes and flags of the MongoDB wire protocol,
// https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/.
const (
	opReply = 1
	opQuery = 2004 // only the first hello of a connection
	opMsg   = 2013

	flagChecksum   = 1 << 0
	flagMoreToCome = 1 << 1

	maxMessage = 48_000_000
	headerSize = 16
)

var errMessage = errors.New("malformed message")

// message is a command with the documents of its sections.
type message struct {
	body bson.Raw
	docs []bson.Raw // of the one document sequence that drivers send
}

// serve answers the messages of one connection until it ends.
func serve(c net.Conn, answer func(message) bson.D) error {
	for {
		var header [headerSize]byte
		if _, err := io.ReadFull(c, header[:]); err != nil {
			return err
		}
		size := binary.LittleEndian.Uint32(header[:])
		if size < headerSize || size > maxMessage {
			return errMessage
		}
		payload := make([]byte, size-headerSize)
		if _, err := io.ReadFull(c, payload); err != nil {
			return err
		}
		reply, err := exchange(binary.LittleEndian.Uint32(header[12:]), payload, answer)
		if err != nil {
			return err
		}
		if reply == nil {
			continue
		}
		binary.LittleEndian.PutUint32(reply, uint32(len(reply)))
		copy(reply[8:12], header[4:8]) // responseTo
		if _, err := c.Write(reply); err != nil {
			return err
		}
	}
}

// exchange returns the reply, whose header lacks length and responseTo, or nil
// if none is wanted.
func exchange(op uint32, payload []byte, answer func(message) bson.D) ([]byte, error) {
	switch op {
	case opQuery:
		doc, err := bson.Marshal(answer(message{body: queryDoc(payload)}))
		if err != nil {
			return nil, err
		}
		reply := make([]byte, headerSize+20, headerSize+20+len(doc))
		binary.LittleEndian.PutUint32(reply[12:], opReply)
		binary.LittleEndian.PutUint32(reply[headerSize+16:], 1) // one document
		return append(reply, doc...), nil
	case opMsg:
		m, flags, err := parseMessage(payload)
		if err != nil {
			return nil, err
		}
		doc, err := bson.Marshal(answer(m))
		if err != nil || flags&flagMoreToCome != 0 {
			return nil, err
		}
		reply := make([]byte, headerSize+5, headerSize+5+len(doc)) // flags and kind are 0
		binary.LittleEndian.PutUint32(reply[12:], opMsg)
		return append(reply, doc...), nil
	}
	return nil, fmt.Errorf("%w: operation %d", errMessage, op)
}

// queryDoc is the document of an OP_QUERY: after flags, name, skip and limit.
func queryDoc(payload []byte) bson.Raw {
	if len(payload) < 4 {
		return nil
	}
	_, rest, _ := bytes.Cut(payload[4:], []byte{0})
	if len(rest) < 8 {
		return nil
	}
	return bson.Raw(rest[8:])
}

func parseMessage(payload []byte) (m message, flags uint32, err error) {
	if len(payload) < 4 {
		return m, 0, errMessage
	}
	flags = binary.LittleEndian.Uint32(payload)
	payload = payload[4:]
	if flags&flagChecksum != 0 {
		payload = payload[:max(0, len(payload)-4)]
	}
	for len(payload) > 0 {
		kind := payload[0]
		section, rest, err := sized(payload[1:])
		if err != nil {
			return m, 0, err
		}
		payload = rest
		switch kind {
		case 0:
			m.body = bson.Raw(section)
		case 1:
			_, docs, _ := bytes.Cut(section[4:], []byte{0})
			for len(docs) > 0 {
				var doc []byte
				if doc, docs, err = sized(docs); err != nil {
					return m, 0, err
				}
				m.docs = append(m.docs, bson.Raw(doc))
			}
		default:
			return m, 0, errMessage
		}
	}
	return m, flags, m.body.Validate()
}

// sized cuts off what begins with its own length.
func sized(b []byte) (first, rest []byte, err error) {
	if len(b) < 4 {
		return nil, nil, errMessage
	}
	n := binary.LittleEndian.Uint32(b)
	if n < 4 || uint64(n) > uint64(len(b)) {
		return nil, nil, errMessage
	}
	return b[:n], b[n:], nil
}
