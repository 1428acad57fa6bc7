//! A link as a QR code: SVG for print, PNG for everything else. Black on white in both schemes, since scanners want it so.

use qrcodegen::{QrCode, QrCodeEcc};

use crate::error::ApiError;

/// Modules of white around the symbol, as its standard wants it.
const QUIET: usize = 4;
/// Pixels of a module in the PNG: sharp on paper at a hand's width.
const SCALE: usize = 12;

/// A symbol: which of its modules are dark, row by row.
pub struct Symbol {
    code: QrCode,
    /// With the quiet zone.
    side: usize,
}

impl Symbol {
    /// The symbol of a short text. A quarter of it may be soiled and it still reads.
    pub fn of(text: &str) -> Result<Self, ApiError> {
        let code = QrCode::encode_text(text, QrCodeEcc::Quartile)
            .map_err(|error| ApiError::Internal(format!("a link makes no QR code: {error}")))?;
        let side = usize::try_from(code.size()).unwrap_or(0) + 2 * QUIET;
        Ok(Self { code, side })
    }

    fn is_dark(&self, x: usize, y: usize) -> bool {
        let place = |n: usize| i32::try_from(n).unwrap_or(0) - QUIET as i32;
        // Outside of the symbol, as in the quiet zone, it answers with light.
        self.code.get_module(place(x), place(y))
    }

    /// As a picture of any size.
    pub fn svg(&self) -> String {
        let mut path = String::new();
        for y in 0..self.side {
            let mut x = 0;
            while x < self.side {
                let run = (x..self.side).take_while(|x| self.is_dark(*x, y)).count();
                if run > 0 {
                    path.push_str(&format!("M{x} {y}h{run}v1h-{run}z"));
                }
                x += run.max(1);
            }
        }
        let side = self.side;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" width=\"{width}\" height=\"{width}\" \
             shape-rendering=\"crispEdges\"><path fill=\"#fff\" d=\"M0 0h{side}v{side}H0z\"/><path fill=\"#000\" d=\"{path}\"/></svg>\n",
            width = side * SCALE,
        )
    }

    /// As a picture of pixels, one bit each.
    pub fn png(&self) -> Result<Vec<u8>, ApiError> {
        let failed = |error: png::EncodingError| ApiError::Internal(format!("a QR code makes no PNG: {error}"));
        let side = self.side * SCALE;
        let bytes_per_row = side.div_ceil(8);
        let mut pixels = Vec::with_capacity(bytes_per_row * side);
        for y in 0..self.side {
            let mut row = vec![0xff_u8; bytes_per_row];
            for pixel in (0..side).filter(|pixel| self.is_dark(pixel / SCALE, y)) {
                if let Some(byte) = row.get_mut(pixel / 8) {
                    *byte &= !(0x80 >> (pixel % 8));
                }
            }
            for _ in 0..SCALE {
                pixels.extend_from_slice(&row);
            }
        }
        let width = u32::try_from(side).unwrap_or(0);
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, width, width);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::One);
        let mut writer = encoder.write_header().map_err(failed)?;
        writer.write_image_data(&pixels).map_err(failed)?;
        writer.finish().map_err(failed)?;
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_shows_the_symbol_pixel_by_pixel() {
        let symbol = Symbol::of("https://selgeo.test/r/abc").unwrap();
        let file = symbol.png().unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(&file)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        let side = symbol.side * SCALE;
        assert_eq!((info.width as usize, info.height as usize, info.bit_depth), (side, side, png::BitDepth::One));
        for y in 0..side {
            for x in 0..side {
                let is_dark = pixels[y * info.line_size + x / 8] & (0x80 >> (x % 8)) == 0;
                assert_eq!(is_dark, symbol.is_dark(x / SCALE, y / SCALE), "{x} {y}");
            }
        }
        // A finder begins where the quiet zone ends.
        assert!(!symbol.is_dark(QUIET - 1, QUIET - 1) && symbol.is_dark(QUIET, QUIET));
        assert!(symbol.svg().contains(&format!("M{QUIET} {QUIET}h7v1h-7z")));
    }
}
