package config

// Row is one setting as it is in force.
type Row struct {
	Key    string `json:"key"`
	Value  string `json:"value"`  // as it would be written in a file; of a secret [Redacted], or "" where it is not set
	Source string `json:"source"` // as [Source.String] writes it
}

// Show lists the settings in force in the order of the reference page. An override of a cache policy that is not set
// has no value, and no row.
func (c *Config) Show() []Row {
	var rows []Row
	for _, s := range describe().settings {
		if s.fills != "" {
			continue
		}
		if value := s.get(c); value != nil {
			rows = append(rows, Row{Key: s.key, Value: s.codec.format(value), Source: c.Source(s.key).String()})
		}
	}
	return rows
}
