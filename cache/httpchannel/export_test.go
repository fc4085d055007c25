package httpchannel

import "github.com/freshet/freshet/cache"

// What the tests of parsers see: each reads bytes and writes them again.
var Parsers = map[string]func(data []byte) (again []byte, err error){
	"ask": func(data []byte) ([]byte, error) {
		a, err := parseAsk(data)
		return a.append(nil), err
	},
	"answer": func(data []byte) ([]byte, error) {
		a, err := parseAnswer(data)
		return a.append(nil), err
	},
	"board": func(data []byte) ([]byte, error) {
		var body []byte
		if len(data) >= bodyAt { // an attacker without the secret gets no further than the MAC
			body = append(append(body, data[:cache.StampSize]...), version)
			body = append(append(body, make([]byte, bodyAt-macAt)...), data[bodyAt:]...)
			copy(body[macAt:bodyAt], mac(nil, body))
		}
		b, err := openBoard(nil, body)
		if err != nil {
			return nil, err
		}
		return append(data[:bodyAt:bodyAt], b.seal(nil)[bodyAt:]...), nil
	},
}

// Messages are one of each kind, as bytes.
func Messages() map[string][]byte {
	b := board{epoch: 7, horizon: 3, young: true, members: []member{{id: cache.ID{1}, url: "http://a/", term: 2, condemned: true}}}
	b.draw([]string{"tag"})
	return map[string][]byte{
		"ask":    ask{kind: askKnow, from: cache.ID{1}, to: cache.ID{2}, after: fromNow, term: 1, url: "http://a/"}.append(nil),
		"answer": answer{from: cache.ID{1}, gap: true, upTo: 9, events: []event{{key: "k"}, {tag: "t", epoch: 7}}}.append(nil),
		"board":  b.seal(nil),
	}
}

// ID is a node's.
func (r *Remote) ID() cache.ID { return r.id }

// MaxAsk is the longest request.
const MaxAsk = maxAsk

// Ask is a request that asks a node for what it has fenced.
func Ask(from, to cache.ID) []byte { return ask{kind: askEvents, from: from, to: to}.append(nil) }
