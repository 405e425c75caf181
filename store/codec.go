package store

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
)

// A value on disk is one byte of format, the CRC32C of what it is and where it
// belongs (little endian), and the content.
const (
	formatV1  = 1
	sealBytes = 5
)

// checksum covers the bucket and the key as well, so that a value which shows
// up under another key is found out.
func checksum(bucket string, key, content []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(0, table, []byte(bucket))
	sum = crc32.Update(sum, table, []byte{0})
	sum = crc32.Update(sum, table, key)
	sum = crc32.Update(sum, table, []byte{0})
	return crc32.Update(sum, table, content)
}

// seal returns content as it stands on disk.
func seal(bucket string, key, content []byte) []byte {
	raw := make([]byte, sealBytes, sealBytes+len(content))
	raw[0] = formatV1
	binary.LittleEndian.PutUint32(raw[1:], checksum(bucket, key, content))
	return append(raw, content...)
}

// sealed returns the checksum a value on disk carries; it is not compared.
func sealed(raw []byte) uint32 {
	if len(raw) < sealBytes {
		return 0
	}
	return binary.LittleEndian.Uint32(raw[1:])
}

// unseal returns the content of raw, which it shares memory with.
func unseal(bucket string, key, raw []byte) ([]byte, error) {
	if len(raw) < sealBytes || raw[0] != formatV1 {
		return nil, fmt.Errorf("record %s %q has no valid header", bucket, key)
	}
	content := raw[sealBytes:]
	if sealed(raw) != checksum(bucket, key, content) {
		return nil, fmt.Errorf("record %s %q does not match its checksum", bucket, key)
	}
	return content, nil
}

// decode reads the JSON of a record.
func decode[T any](bucket string, key, content []byte) (*T, error) {
	v := new(T)
	if err := json.Unmarshal(content, v); err != nil {
		return nil, fmt.Errorf("record %s %q: %w", bucket, key, err)
	}
	return v, nil
}
